<?php

use Illuminate\Support\Facades\Route;
use Illuminate\Support\Str;

Route::get('/', fn () => ['plural' => Str::plural('bicycle')]);
