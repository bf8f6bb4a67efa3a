package com.example

import io.ktor.server.application.call
import io.ktor.server.cio.CIO
import io.ktor.server.engine.embeddedServer
import io.ktor.server.response.respondText
import io.ktor.server.routing.get
import io.ktor.server.routing.routing

fun main() {
    val port = System.getenv("PORT")?.toInt() ?: 8080
    embeddedServer(CIO, port = port, host = "0.0.0.0") {
        routing {
            get("/{word}") { call.respondText(call.parameters["word"].orEmpty().reversed()) }
        }
    }.start(wait = true)
}
