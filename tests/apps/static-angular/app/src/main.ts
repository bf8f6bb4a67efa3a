import { Component, provideZonelessChangeDetection } from "@angular/core";
import { bootstrapApplication } from "@angular/platform-browser";

@Component({ selector: "app-root", template: "<h1>Shop</h1>" })
class App {}

void bootstrapApplication(App, { providers: [provideZonelessChangeDetection()] });
