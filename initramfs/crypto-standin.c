/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A stand-in for libcrypto.so.3 in the initramfs. Debian's libkmod is linked with OpenSSL (1.6 MB of a compressed initramfs of 6) for one
 * thing: to tell who signed a module, which modinfo asks and nobody who loads modules does. These are the symbols it then wants; each
 * fails as the real one does on bad input. The dracut module installs this only where the dynamic linker finds it sufficient, and the
 * real library otherwise; the image itself always has the real one.
 */
#include <stddef.h>

#define STANDIN(name) const void *name(void); const void *name(void) { return NULL; }

STANDIN(ASN1_INTEGER_to_BN)
STANDIN(ASN1_STRING_get0_data)
STANDIN(ASN1_STRING_length)
STANDIN(BIO_free)
STANDIN(BIO_new_mem_buf)
STANDIN(BN_bn2bin)
STANDIN(BN_free)
STANDIN(BN_num_bits)
STANDIN(OBJ_obj2nid)
STANDIN(OPENSSL_sk_value)
STANDIN(PKCS7_SIGNER_INFO_get0_algs)
STANDIN(PKCS7_free)
STANDIN(PKCS7_get_signer_info)
STANDIN(X509_ALGOR_get0)
STANDIN(X509_NAME_ENTRY_get_data)
STANDIN(X509_NAME_ENTRY_get_object)
STANDIN(X509_NAME_entry_count)
STANDIN(X509_NAME_get_entry)
STANDIN(d2i_PKCS7_bio)
