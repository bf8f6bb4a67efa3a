package com.example.numerals;

import io.micronaut.http.MediaType;
import io.micronaut.http.annotation.Controller;
import io.micronaut.http.annotation.Get;

@Controller("/numerals")
public class NumeralsController {
    private static final int[] VALUES = {1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1};
    private static final String[] SIGNS = {"M", "CM", "D", "CD", "C", "XC", "L", "XL", "X", "IX", "V", "IV", "I"};

    @Get(value = "/{number}", produces = MediaType.TEXT_PLAIN)
    public String of(int number) {
        StringBuilder roman = new StringBuilder();
        for (int index = 0; index < VALUES.length; index++) {
            for (; number >= VALUES[index]; number -= VALUES[index]) {
                roman.append(SIGNS[index]);
            }
        }
        return roman.toString();
    }
}
