/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Paths as text. Results are allocated and the caller's; NULL only when memory is out. */
#include <stdbool.h>
#include <sys/types.h>

char *ssi_path_join(const char *a, const char *b);            /* one '/' between; b must be relative */
char *ssi_path_join3(const char *a, const char *b, const char *c);
bool ssi_path_is_name(const char *s);                         /* one safe path component: [A-Za-z0-9._+-], not "." or "..", at most 64 */
/*
 * The next FOLDER/NAME of a search path like PATH; a folder without a name is the working directory ("./NAME"). *at: where to go on, NULL behind the last.
 * NULL: there is none any more. name is a single component.
 */
char *ssi_path_search(const char **at, const char *name);
int ssi_path_mkdirs(const char *path, mode_t mode);           /* like mkdir -p; 0 or -errno */
int ssi_path_rmtree(const char *path);                        /* like rm -rf, does not cross a mount or follow a link; 0 or -errno */
/* Its last component, within it; the whole where it ends with a '/'. n: of bytes, it needs no end. */
const char *ssi_path_last(const char *path, size_t n, size_t *ret_n);
