package com.example.units;

public enum Scale {
    CELSIUS,
    FAHRENHEIT;

    public double toCelsius(double degrees) {
        return this == CELSIUS ? degrees : (degrees - 32) * 5 / 9;
    }
}
