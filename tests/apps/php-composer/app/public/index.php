<?php

declare(strict_types=1);

use Acme\Spelling\Speller;

require __DIR__ . '/../vendor/autoload.php';

header('Content-Type: application/json');
echo json_encode(['price' => 1492, 'words' => (new Speller())->spell(1492)], JSON_THROW_ON_ERROR);
