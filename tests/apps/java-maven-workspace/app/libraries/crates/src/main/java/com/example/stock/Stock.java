package com.example.stock;

import org.apache.commons.math3.util.ArithmeticUtils;

public final class Stock {
    private Stock() {}

    /** How many pieces fill crates of both sizes without a rest. */
    public static int pieces(int one, int other) {
        return ArithmeticUtils.lcm(one, other);
    }
}
