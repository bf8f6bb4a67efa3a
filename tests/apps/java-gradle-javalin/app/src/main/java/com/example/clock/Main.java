package com.example.clock;

import io.javalin.Javalin;
import java.time.Duration;
import java.util.Map;

public final class Main {
    public static void main(String[] arguments) {
        int port = Integer.parseInt(System.getenv().getOrDefault("PORT", "8080"));
        Javalin.create()
                .get("/{hours}", context -> {
                    long hours = context.pathParamAsClass("hours", Long.class).get();
                    context.json(Map.of("minutes", Duration.ofHours(hours).toMinutes()));
                })
                .start("0.0.0.0", port);
    }
}
