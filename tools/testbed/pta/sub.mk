# A folder of OP-TEE's core, from outside of its tree. COREWARDEN_PTA_CPPFLAGS: variants for negative tests only, see
# docs/pta-api.md.
srcs-y += corewarden_pta.c
cppflags-y += $(COREWARDEN_PTA_CPPFLAGS)
