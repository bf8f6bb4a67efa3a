<?php

declare(strict_types=1);

namespace Acme\Spelling;

use NumberFormatter;

final class Speller
{
    public function __construct(private readonly string $locale = 'en')
    {
    }

    public function spell(int $number): string
    {
        return (new NumberFormatter($this->locale, NumberFormatter::SPELLOUT))->format($number);
    }
}
