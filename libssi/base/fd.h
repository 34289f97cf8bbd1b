/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Descriptors: whole reads and writes, EINTR handled. */
#include <stddef.h>
#include <sys/types.h>

int ssi_fd_write_all(int fd, const void *p, size_t n);        /* 0 or -errno */
ssize_t ssi_fd_read_full(int fd, void *p, size_t n);          /* bytes until n or end of file, or -errno */
int ssi_fd_nonblock(int fd);                                  /* 0 or -errno */
