package com.example.words;

import io.undertow.Undertow;
import io.undertow.util.Headers;

public final class Api {
    public static void main(String[] arguments) {
        int port = Integer.parseInt(System.getenv().getOrDefault("PORT", "8080"));
        Undertow.builder()
                .addHttpListener(port, "0.0.0.0")
                .setHandler(exchange -> {
                    exchange.getResponseHeaders().put(Headers.CONTENT_TYPE, "text/plain");
                    exchange.getResponseSender().send(Words.titled(exchange.getRelativePath().substring(1)));
                })
                .build()
                .start();
    }
}
