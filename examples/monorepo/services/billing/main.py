"""Billing: the references that customers put on a bank transfer."""

from fastapi import FastAPI, HTTPException
from stdnum import iso11649
from stdnum.exceptions import ValidationError
from stdnum.iso7064 import mod_97_10

app = FastAPI(title="billing")


def reference(invoice: str) -> str:
    """The ISO 11649 creditor reference of an invoice: `RF`, two check digits, the invoice's number."""
    digits = mod_97_10.calc_check_digits(f"{invoice}RF")
    return f"RF{digits}{invoice}"


@app.get("/")
def index() -> dict[str, str]:
    return {"app": "billing", "computed_by": "python-stdnum", "reference": iso11649.format(reference("2026INV0042"))}


@app.get("/check/{text}")
def check(text: str) -> dict[str, str]:
    try:
        return {"reference": iso11649.validate(text)}
    except ValidationError as error:
        raise HTTPException(422, str(error)) from error
