import spark.Spark.get
import spark.Spark.ipAddress
import spark.Spark.port

fun main() {
    ipAddress("0.0.0.0")
    port(System.getenv("PORT")?.toInt() ?: 8080)
    get("/:dice/:sides") { request, _ -> (1..request.params("dice").toInt()).map { request.params("sides").toInt() }.sum() }
}
