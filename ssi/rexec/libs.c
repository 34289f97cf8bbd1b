/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns what is known about loaders. Called by pack, which looks for libraries as they do, and by unpack, which must not look where they do not. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ssi/rexec/libs.h"

static const char *const libs_formats[] = { "/lib/%s-linux-gnu", "/usr/lib/%s-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib" };
#define LIBS_FORMATS (sizeof(libs_formats) / sizeof(*libs_formats))

char **ssi_libs_folders(const char *arch)
{
	char **folders = calloc(LIBS_FORMATS + 1, sizeof(*folders));

	for (size_t i = 0; folders && i < LIBS_FORMATS; i++) {
		const char *hole = strstr(libs_formats[i], "%s");
		size_t head = hole ? (size_t)(hole - libs_formats[i]) : strlen(libs_formats[i]);

		if (asprintf(&folders[i], "%.*s%s%s", (int)head, libs_formats[i], hole ? arch : "", hole ? hole + 2 : "") < 0) {
			folders[i] = NULL;
			ssi_libs_free(folders);
			return NULL;
		}
	}
	return folders;
}

void ssi_libs_free(char **folders)
{
	for (size_t i = 0; folders && folders[i]; i++)
		free(folders[i]);
	free(folders);
}

bool ssi_libs_is_default(const char *path, char *const *folders)
{
	const char *slash = strrchr(path, '/');

	for (; slash && *folders; folders++)
		if (strlen(*folders) == (size_t)(slash - path) && !strncmp(path, *folders, (size_t)(slash - path)))
			return true;
	return false;
}

bool ssi_libs_is_libc(const char *name)
{
	static const char *const parts[] = { "libc", "libm", "libmvec", "libpthread", "libdl", "librt", "libresolv", "libutil", "libanl", "libnsl",
		"libthread_db", "libBrokenLocale", "libnss_files", "libnss_dns", "libnss_compat", "libnss_hesiod", "libnss_db", "libc_malloc_debug" };

	/* The libnsl that is not glibc's has had other numbers since that one was parted from it. */
	if (!strncmp(name, "libnsl.so.", 10) && strcmp(name + 10, "1"))
		return false;
	if (!strncmp(name, "ld-linux", 8) || !strncmp(name, "ld-musl", 7) || !strncmp(name, "ld64.so", 7) || !strncmp(name, "libc.musl-", 10))
		return true;
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		size_t n = strlen(parts[i]);

		if (!strncmp(name, parts[i], n) && !strncmp(name + n, ".so", 3))
			return true;
	}
	return false;
}

bool ssi_libs_is_musl(const char *interpreter)
{
	const char *slash = strrchr(interpreter, '/');

	return !strncmp(slash ? slash + 1 : interpreter, "ld-musl-", 8);
}
