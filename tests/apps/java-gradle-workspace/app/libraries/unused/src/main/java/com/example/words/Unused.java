package com.example.words;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

public final class Unused {
    static final Logger LOGGER = LoggerFactory.getLogger(Unused.class);

    private Unused() {}
}
