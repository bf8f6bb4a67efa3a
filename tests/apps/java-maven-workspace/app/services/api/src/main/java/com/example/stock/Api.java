package com.example.stock;

import io.undertow.Undertow;

public final class Api {
    public static void main(String[] arguments) {
        int port = Integer.parseInt(System.getenv().getOrDefault("PORT", "8080"));
        Undertow.builder()
                .addHttpListener(port, "0.0.0.0")
                .setHandler(exchange -> {
                    int one = Integer.parseInt(exchange.getQueryParameters().get("one").getFirst());
                    int other = Integer.parseInt(exchange.getQueryParameters().get("other").getFirst());
                    exchange.getResponseSender().send(Integer.toString(Stock.pieces(one, other)));
                })
                .build()
                .start();
    }
}
