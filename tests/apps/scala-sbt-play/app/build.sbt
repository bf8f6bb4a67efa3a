ThisBuild / scalaVersion := "3.3.6"

lazy val root = (project in file("."))
  .enablePlugins(PlayScala)
  .settings(
    name := "dates",
    version := "1.0.0",
    libraryDependencies += guice,
  )
