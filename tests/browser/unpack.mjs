/**
 * Unpacks the Chromium of `@sparticuz/chromium` into TMPDIR, and prints where it is.
 *
 * The libraries that it needs are unpacked only where the package believes to be in such a place.
 */

process.env["AWS_EXECUTION_ENV"] = "AWS_Lambda_nodejs20.x";
const { default: chromium } = await import("@sparticuz/chromium");
process.stdout.write(await chromium.executablePath());
