plugins {
    alias(libs.plugins.spring.boot) apply false
}

subprojects {
    repositories {
        mavenCentral()
    }
}
