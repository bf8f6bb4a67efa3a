package com.example.catalog;

import com.example.prices.Price;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.RestController;

@SpringBootApplication
@RestController
public class CatalogApplication {
    public static void main(String[] arguments) {
        SpringApplication.run(CatalogApplication.class, arguments);
    }

    @GetMapping("/prices/{cents}")
    public String price(@PathVariable long cents) {
        return new Price(cents).shown();
    }
}
