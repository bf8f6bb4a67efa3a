package com.example.greeter;

import java.util.Map;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;

@SpringBootApplication
@RestController
public class GreeterApplication {
    public static void main(String[] arguments) {
        SpringApplication.run(GreeterApplication.class, arguments);
    }

    @GetMapping("/")
    public Map<String, String> greet(@RequestParam(defaultValue = "world") String name) {
        return Map.of("greeting", "Hello, " + name + "!");
    }
}
