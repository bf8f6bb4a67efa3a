package com.example.words;

import org.apache.commons.text.WordUtils;

public final class Words {
    private Words() {}

    public static String titled(String text) {
        return WordUtils.capitalizeFully(text);
    }
}
