object Dependencies {
  val scala = "3.3.6"
  val upickle = "4.1.0"
}
