package com.example

import io.ktor.server.application.Application
import io.ktor.server.application.call
import io.ktor.server.response.respondText
import io.ktor.server.routing.get
import io.ktor.server.routing.routing

fun Application.module() {
    routing {
        get("/{words...}") {
            val words = call.parameters.getAll("words").orEmpty()
            call.respondText(words.joinToString("") { it.replaceFirstChar(Char::uppercase).take(1) })
        }
    }
}
