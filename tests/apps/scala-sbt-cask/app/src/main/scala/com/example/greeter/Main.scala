package com.example.greeter

object Main extends cask.MainRoutes:
  override def host: String = "0.0.0.0"
  override def port: Int = sys.env.getOrElse("PORT", "5000").toInt

  @cask.getJson("/")
  def greeting(): ujson.Value =
    ujson.Obj("language" -> "scala", "words" -> Seq("hello", "world").sorted)

  initialize()
