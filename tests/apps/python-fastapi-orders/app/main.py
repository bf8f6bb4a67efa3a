from decimal import Decimal
from typing import Annotated

from fastapi import FastAPI, Query
from pydantic import BaseModel

from orders.prices import total

app = FastAPI(title="Orders")


class Order(BaseModel):
    number: int
    pieces: int
    total: Decimal


@app.get("/orders/{number}")
async def order(number: int, pieces: Annotated[int, Query(ge=1)] = 1) -> Order:
    return Order(number=number, pieces=pieces, total=total(pieces))
