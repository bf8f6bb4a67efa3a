<?php

declare(strict_types=1);

namespace Acme\Clock;

use IntlDateFormatter;

final class Weekday
{
    public static function of(int $time, string $locale): string
    {
        return (new IntlDateFormatter($locale, timezone: 'UTC', pattern: 'EEEE'))->format($time);
    }
}
