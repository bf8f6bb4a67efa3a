package com.example.weather;

import io.javalin.Javalin;
import java.util.Map;
import java.util.TreeMap;

public final class Main {
    public static void main(String[] arguments) {
        int port = Integer.parseInt(System.getenv().getOrDefault("PORT", "8080"));
        Javalin.create()
                .get("/", context -> context.json(new TreeMap<>(Map.of("degrees", 20 + 1, "unit", "C"))))
                .start("0.0.0.0", port);
    }
}
