lazy val core = project
  .in(file("core"))
  .settings(libraryDependencies += "com.lihaoyi" %% "upickle" % Dependencies.upickle)

lazy val server = project
  .in(file("server"))
  .dependsOn(core)
  .settings(assembly / assemblyJarName := "server.jar")

inThisBuild(List(scalaVersion := Dependencies.scala, version := "0.1.0"))
