/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Services: what they are, and the ini files that say so (/etc/ssi/services.d, see ssi-init(8)). */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "libssi/base/err.h"

#define SERVICES_MAX 64
#define SERVICES_DIR "/etc/ssi/services.d"
#define SERVICE_WORDS 32
#define SERVICE_COMMAND 512

enum service_restart { SERVICE_ALWAYS, SERVICE_ON_FAILURE, SERVICE_NO };

struct service {
	char name[64];                     /* of its file, without .ini */
	char command[SERVICE_COMMAND];
	enum service_restart restart;
};

struct service_table {
	size_t n;
	struct service s[SERVICES_MAX];
};

/* One file's text; file is its name in messages. -EINVAL and in e the first mistake, with its line. */
int service_parse(const char *file, const char *text, size_t len, struct service *ret, struct ssi_err *e);
/* Cut a command into words, in place of the copy in buf: blanks between, "double quotes" around words with blanks. How many, or -E2BIG, -EINVAL. */
int service_words(const char *command, char buf[SERVICE_COMMAND], char *ret[SERVICE_WORDS + 1]);
/* Every *.ini of dir in name order; 0, or -errno when dir cannot be read. Mistakes are logged and their file left out; no directory: no services. Blocks:
 * runs in a child of PID 1. */
int service_load(const char *dir, struct service_table *ret);
