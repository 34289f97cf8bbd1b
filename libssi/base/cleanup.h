/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Scope-bound ownership. A variable with one of these attributes is initialised where it is declared. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SSI_CLEANUP(f) __attribute__((cleanup(f)))

static inline void ssi_cleanup_free(void *p) { free(*(void **)p); }
static inline void ssi_cleanup_close(const int *fd) { if (*fd >= 0) close(*fd); }
static inline void ssi_cleanup_fclose(FILE **f) { if (*f) fclose(*f); }
static inline void ssi_cleanup_closedir(DIR **d) { if (*d) closedir(*d); }

#define _cleanup_free_ SSI_CLEANUP(ssi_cleanup_free)
#define _cleanup_close_ SSI_CLEANUP(ssi_cleanup_close)
#define _cleanup_fclose_ SSI_CLEANUP(ssi_cleanup_fclose)
#define _cleanup_closedir_ SSI_CLEANUP(ssi_cleanup_closedir)

/* Hand a pointer or a descriptor over to the caller: the variable no longer owns it. */
#define TAKE_PTR(p) ({ __typeof__(p) *pp_ = &(p); __typeof__(p) v_ = *pp_; *pp_ = NULL; v_; })
#define TAKE_FD(fd) ({ int *pf_ = &(fd); int v_ = *pf_; *pf_ = -1; v_; })
