/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The error text of a failed call. The caller owns it (usually on its stack), may pass NULL, and reads it only
 * after a negative return. Functions return 0 or more on success and -errno on failure, and leave their outputs
 * untouched on failure. Nothing here allocates or prints.
 */
#include <stdarg.h>

#define SSI_ERR_MAX 512

struct ssi_err {
	int code;                /* the negative errno that was returned */
	char text[SSI_ERR_MAX];  /* one line, no newline at its end */
};

/* Fill e (may be NULL) and return code, so that a failure is one statement:
 *     return ssi_errf(e, -ENOENT, "%s:%u: no key 'mac'", file, line);
 * A text longer than SSI_ERR_MAX is cut. errno is kept. */
int ssi_errf(struct ssi_err *e, int code, const char *fmt, ...) __attribute__((cold, format(printf, 3, 4)));
int ssi_errv(struct ssi_err *e, int code, const char *fmt, va_list ap) __attribute__((format(printf, 3, 0)));

/* The same with ": " and strerror(-code) appended. */
int ssi_errno(struct ssi_err *e, int code, const char *fmt, ...) __attribute__((cold, format(printf, 3, 4)));

/* Put "PREFIX: " in front of a text that a lower call filled; returns e->code (or -EIO when e is NULL). */
int ssi_err_prefix(struct ssi_err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
