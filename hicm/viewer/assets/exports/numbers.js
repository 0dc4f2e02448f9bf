"use strict";
globalThis.hicm ??= {};
hicm.exports ??= {};
{
  /**
   * A number that Python knows as a float, written as Python does: `1.0`, `1e-05`, `1e+16`.
   * @param {number} value
   * @returns {string}
   */
  function float(value) {
    if (Number.isNaN(value)) return "NaN";
    if (!Number.isFinite(value)) return value > 0 ? "Infinity" : "-Infinity";
    if (value === 0) return Object.is(value, -0) ? "-0.0" : "0.0";
    const [, sign, first, rest = "", power] = /^(-?)(\d)(?:\.(\d+))?e([+-]\d+)$/.exec(value.toExponential());
    const exponent = Number(power);
    if (exponent < -4 || exponent >= 16) {
      const short = String(Math.abs(exponent)).padStart(2, "0");
      return `${sign}${first}${rest ? `.${rest}` : ""}e${exponent < 0 ? "-" : "+"}${short}`;
    }
    const digits = first + rest;
    if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${digits}`;
    const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, "0");
    return `${sign}${whole}.${digits.slice(exponent + 1) || "0"}`;
  }

  /**
   * A number with `digits` decimals, halves rounded to even, as in Python.
   * @param {number} value less than 1e15 in size
   * @param {number} digits
   * @returns {string}
   */
  function fixed(value, digits) {
    const exact = Math.abs(value).toFixed(100);  // enough digits to tell an exact half
    const [whole, decimals] = exact.split(".");
    let units = BigInt(whole + decimals.slice(0, digits));
    const rest = decimals.slice(digits);
    const half = /^50*$/.test(rest);
    if (half ? units % 2n === 1n : rest[0] >= "5") units += 1n;
    const text = String(units).padStart(digits + 1, "0");
    const sign = value < 0 || Object.is(value, -0) ? "-" : "";
    return sign + (digits ? `${text.slice(0, -digits)}.${text.slice(-digits)}` : text);
  }

  /**
   * The nearest whole number, halves rounded to even: Python's `round`.
   * @param {number} value
   * @returns {number}
   */
  function round(value) {
    const below = Math.floor(value);
    const over = value - below;
    if (over === 0.5) return below % 2 === 0 ? below : below + 1;
    return over > 0.5 ? below + 1 : below;
  }

  /** An exact fraction; the denominator is positive.  Not reduced. */
  class Fraction {
    /** @param {bigint | number} numerator @param {bigint | number} [denominator] */
    constructor(numerator, denominator = 1n) {
      this.numerator = BigInt(numerator);
      this.denominator = BigInt(denominator);
    }

    /** The exact value of a float. @param {number} value finite @returns {Fraction} */
    static of(value) {
      let denominator = 1n, scaled = value;
      while (!Number.isInteger(scaled)) {
        scaled *= 2;
        denominator *= 2n;
      }
      return new Fraction(BigInt(scaled), denominator);
    }

    /** @param {Fraction} other @returns {Fraction} */
    plus(other) {
      return new Fraction(this.numerator * other.denominator + other.numerator * this.denominator,
                          this.denominator * other.denominator);
    }

    /** @param {Fraction} other @returns {Fraction} */
    minus(other) {
      return this.plus(new Fraction(-other.numerator, other.denominator));
    }

    /** @param {Fraction} other @returns {Fraction} */
    times(other) {
      return new Fraction(this.numerator * other.numerator, this.denominator * other.denominator);
    }

    /** @returns {Fraction} */
    absolute() {
      return this.numerator < 0n ? new Fraction(-this.numerator, this.denominator) : this;
    }

    /** @param {Fraction} other @returns {boolean} */
    less(other) {
      return this.numerator * other.denominator < other.numerator * this.denominator;
    }

    /** @returns {number} the nearest whole number, halves rounded to even */
    round() {
      let below = this.numerator / this.denominator;
      if (this.numerator % this.denominator < 0n) below -= 1n;
      const twice = 2n * (this.numerator - below * this.denominator);
      const up = twice > this.denominator || twice === this.denominator && below % 2n !== 0n;
      return Number(up ? below + 1n : below);
    }

    /** @returns {number} the nearest float */
    number() {
      const size = (value) => value.toString(2).length;
      const {numerator, denominator} = this.absolute();
      if (numerator === 0n) return 0;
      const shift = Math.max(66 - size(numerator) + size(denominator), 0);
      const shifted = numerator << BigInt(shift);
      const quotient = shifted / denominator;
      const sticky = shifted % denominator === 0n ? 0n : 1n;  // a remainder makes it more than a half
      const value = Number(quotient << 1n | sticky) / 2 ** (shift + 1);
      return this.numerator < 0n ? -value : value;
    }
  }

  hicm.numbers = {float, fixed, round, Fraction};
}
