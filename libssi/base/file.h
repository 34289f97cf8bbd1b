/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Whole files. Written to a temporary beside the target, synced, renamed: a reader sees the old or the new. */
#include <stddef.h>
#include <sys/types.h>

/* Read at most max bytes (-EFBIG past that). *ret is NUL-terminated and the caller's; ret_len may be NULL.
 * Works on /proc and /sys files too. 0 or -errno. */
int ssi_file_read(const char *path, size_t max, char **ret, size_t *ret_len);
/* The first line of a small file without its newline, into buf; 0 or -errno. For /sys and /proc. */
int ssi_file_read_line(const char *path, char *buf, size_t n);
/* The same, path being relative to the folder open as dir (openat(2)). */
int ssi_file_read_at(int dir, const char *path, size_t max, char **ret, size_t *ret_len);
int ssi_file_read_line_at(int dir, const char *path, char *buf, size_t n);
int ssi_file_write_atomic(const char *path, const void *p, size_t n, mode_t mode);
/* As above, but leaves the file and its times alone when it already has this content: 1 if written, 0 if the same, -errno. */
int ssi_file_write_if_changed(const char *path, const void *p, size_t n, mode_t mode);
/* Sync the folder that path lies in: what was renamed to path is durable only then. 0 or -errno. */
int ssi_file_sync_folder(const char *path);
/* Write to an existing /proc, /sys or /dev file, in one write. 0 or -errno. */
int ssi_file_poke(const char *path, const char *s);
int ssi_file_poke_at(int dir, const char *path, const char *s);
