package com.example.primes;

import jakarta.ws.rs.GET;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.PathParam;
import jakarta.ws.rs.Produces;
import jakarta.ws.rs.core.MediaType;
import java.util.ArrayList;
import java.util.List;

@Path("/primes")
public class PrimesResource {
    @GET
    @Path("/{number}")
    @Produces(MediaType.TEXT_PLAIN)
    public String of(@PathParam("number") int number) {
        List<String> factors = new ArrayList<>();
        for (int prime = 2; prime <= number; prime++) {
            while (number % prime == 0) {
                factors.add(Integer.toString(prime));
                number /= prime;
            }
        }
        return String.join(" ", factors);
    }
}
