<?php

declare(strict_types=1);

require __DIR__ . '/../vendor/autoload.php';

echo Acme\Clock\Weekday::of(0, 'de');
