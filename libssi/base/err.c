/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The error text of a failed call. Everything calls it; it calls nothing of ours. What it does not do well: a text
 * past SSI_ERR_MAX is cut without a sign of it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "libssi/base/err.h"

int ssi_errv(struct ssi_err *e, int code, const char *fmt, va_list ap)
{
	int saved = errno;

	if (e) {
		e->code = code;
		vsnprintf(e->text, sizeof(e->text), fmt, ap);
	}
	errno = saved;
	return code;
}

int ssi_errf(struct ssi_err *e, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	ssi_errv(e, code, fmt, ap);
	va_end(ap);
	return code;
}

int ssi_errno(struct ssi_err *e, int code, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	ssi_errv(e, code, fmt, ap);
	va_end(ap);
	if (e) {
		n = strlen(e->text);
		snprintf(e->text + n, sizeof(e->text) - n, ": %s", strerror(-code));
	}
	errno = saved;
	return code;
}

int ssi_err_prefix(struct ssi_err *e, const char *fmt, ...)
{
	char text[SSI_ERR_MAX];
	int saved = errno;
	va_list ap;
	size_t n;

	if (!e)
		return -EIO;
	memcpy(text, e->text, sizeof(text));
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	n = strlen(e->text);
	snprintf(e->text + n, sizeof(e->text) - n, ": %s", text);
	errno = saved;
	return e->code;
}
