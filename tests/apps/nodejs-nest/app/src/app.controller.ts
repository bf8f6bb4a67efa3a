import { Controller, Get, Injectable, Module } from "@nestjs/common";
import { existsSync } from "node:fs";

@Injectable()
export class Facts {
  readonly framework = "NestJS";
  readonly compiler = existsSync("node_modules/typescript");
}

@Controller()
export class AppController {
  constructor(private readonly facts: Facts) {}

  @Get()
  read(): Facts {
    return this.facts;
  }
}

@Module({ controllers: [AppController], providers: [Facts] })
export class AppModule {}
