<?php

$database = new SQLite3(':memory:');
$database->exec('CREATE TABLE words (word TEXT)');
foreach (['gamma', 'alpha', 'beta'] as $word) {
    $database->exec("INSERT INTO words VALUES ('" . SQLite3::escapeString($word) . "')");
}
$found = [];
$rows = $database->query('SELECT word, count(*) OVER () AS number FROM words ORDER BY word');
while ($row = $rows->fetchArray(SQLITE3_ASSOC)) {
    $found[] = mb_strtoupper($row['word']) . '/' . $row['number'];
}
header('Content-Type: text/plain');
echo implode(' ', $found);
