/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * What a program says of itself. Only programs log; libraries fill a struct ssi_err. Lines go to standard error
 * with a syslog "<N>" prefix when stderr is the journal (JOURNAL_STREAM is set), else as "name: text". A text may have
 * several lines; other control characters become '?'.
 */
#include <stdbool.h>
#include <stdarg.h>
#include <syslog.h>

/* Name the program (borrowed) and set the highest level that is printed (LOG_INFO by default). */
void ssi_log_open(const char *name, int max_level);
void ssi_log(int level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void ssi_logv(int level, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

#define log_error(...) ssi_log(LOG_ERR, __VA_ARGS__)
#define log_warning(...) ssi_log(LOG_WARNING, __VA_ARGS__)
#define log_notice(...) ssi_log(LOG_NOTICE, __VA_ARGS__)
#define log_info(...) ssi_log(LOG_INFO, __VA_ARGS__)
#define log_debug(...) ssi_log(LOG_DEBUG, __VA_ARGS__)
