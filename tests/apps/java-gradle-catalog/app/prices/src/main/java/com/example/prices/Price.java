package com.example.prices;

public record Price(long cents) {
    public String shown() {
        return "%d.%02d".formatted(cents / 100, cents % 100);
    }
}
