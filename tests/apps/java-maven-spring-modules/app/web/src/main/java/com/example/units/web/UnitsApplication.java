package com.example.units.web;

import com.example.units.Scale;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.RestController;

@SpringBootApplication
@RestController
public class UnitsApplication {
    public static void main(String[] arguments) {
        SpringApplication.run(UnitsApplication.class, arguments);
    }

    @GetMapping("/celsius/{fahrenheit}")
    public double celsius(@PathVariable double fahrenheit) {
        return Scale.FAHRENHEIT.toCelsius(fahrenheit);
    }
}
