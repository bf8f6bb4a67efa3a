package hello

import com.sun.net.httpserver.{HttpExchange, HttpServer}
import java.net.InetSocketAddress

object Hello {
  private def answer(exchange: HttpExchange): Unit = {
    val body = fansi.Str("\u001b[1mhello\u001b[0m, Mill").plainText.split(", ").reverse.mkString(", ").getBytes("UTF-8")
    exchange.sendResponseHeaders(200, body.length.toLong)
    exchange.getResponseBody.write(body)
    exchange.close()
  }

  def main(args: Array[String]): Unit = {
    val port = sys.env.getOrElse("PORT", "5000").toInt
    val server = HttpServer.create(new InetSocketAddress(port), 0)
    server.createContext("/", exchange => answer(exchange))
    server.start()
  }
}
