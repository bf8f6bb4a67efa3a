"use strict";

/** Writes an amount in pence as pounds: 3450 is "£34.50". */
exports.pounds = (pence) => `£${Math.trunc(pence / 100)}.${String(pence % 100).padStart(2, "0")}`;
