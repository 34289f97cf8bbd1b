/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Libraries as loaders see them: which folders they look into by themselves, and which libraries belong to the loader itself. */
#include <stdbool.h>
#include <stddef.h>

/* Where a loader looks when nobody has told it (ld.so(8), Debian's with its multiarch folders); NULL at the end, for ssi_libs_free. arch: as uname -m. */
char **ssi_libs_folders(const char *arch);
void ssi_libs_free(char **folders);
/* Does that file lie in one of them? */
bool ssi_libs_is_default(const char *path, char *const *folders);
/* Is it part of libc, and so of one version with its loader? name: a base name. */
bool ssi_libs_is_libc(const char *name);
/* Is that interpreter musl's, which is its own libc and reads no ld.so.cache? */
bool ssi_libs_is_musl(const char *interpreter);
