ThisBuild / scalaVersion := "3.3.6"

val caskVersion = "0.9.5"

lazy val root = (project in file("."))
  .enablePlugins(JavaAppPackaging)
  .settings(
    name := "Greeter App",
    version := "0.1.0",
    libraryDependencies += "com.lihaoyi" %% "cask" % caskVersion,
  )
