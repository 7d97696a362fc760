"""The profiles that are Dogtag's own, or ACME's: they must not have the constraint, nobody touches them (D08).

Their names are those that Dogtag 10.4 to 11 ships, without ``caIPAserviceCert``, which FreeIPA manages, and
with FreeIPA's profile for ACME, whose requester is no principal of the realm.  Dogtag makes an entry of a
profile's name, where letter case is nothing: one that is spelled otherwise would be written over it.
"""

from typing import Final

from ipa_tpi.model import Refuse

_NAMES: Final = """
    acmeIPAServerCert acmeServerCert AdminCert caAdminCert caAgentFileSigning caAgentServerCert
    caAuditSigningCert caCACert caCMCauditSigningCert caCMCcaCert caCMCcaIssuanceProtectionCert
    caCMCECserverCert caCMCECserverCertWithCRLDP caCMCECsubsystemCert caCMCECUserCert caCMCkraStorageCert
    caCMCkraTransportCert caCMCMLDSAserverCert caCMCocspCert caCMCserverCert caCMCserverCertWithCRLDP
    caCMCsubsystemCert caCMCUserCert caCrossSignedCACert caDirBasedDualCert caDirPinUserCert
    caDirUserCert caDirUserRenewal caDualCert caDualRAuserCert caECAdminCert caECAgentServerCert
    caECDirPinUserCert caECDirUserCert caECDualCert caECFullCMCSelfSignedCert caECFullCMCSharedTokenCert
    caECFullCMCUserCert caECFullCMCUserSignedCert caECInternalAuthServerCert
    caECInternalAuthSubsystemCert caECServerCert caECServerCertWithCRLDP caECServerCertWithSCT
    caECSimpleCMCUserCert caECSubsystemCert caECUserCert caEncECUserCert caEncUserCert
    caFullCMCSelfSignedCert caFullCMCSharedTokenCert caFullCMCUserCert caFullCMCUserSignedCert
    caInstallCACert caInternalAuthAuditSigningCert caInternalAuthDRMstorageCert caInternalAuthOCSPCert
    caInternalAuthServerCert caInternalAuthSubsystemCert caInternalAuthTransportCert caJarSigningCert
    caManualRenewal caMLDSAAdminCert caMLDSAInternalAuthServerCert caMLDSAInternalAuthSubsystemCert
    caMLDSAServerCert caMLDSASubsystemCert caMLDSAUserCert caMLKEMInternalAuthDRMstorageCert
    caMLKEMInternalAuthTransportCert caMLKEMUserCert caOCSPCert caOtherCert caRAagentCert caRACert
    caRARouterCert caRAserverCert caRouterCert caServerCert caServerCertWithCRLDP caServerCertWithSCT
    caServerKeygen_DirUserCert caServerKeygen_UserCert caSignedLogCert caSigningECUserCert
    caSigningUserCert caSimpleCMCUserCert caSSLClientSelfRenewal caStorageCert caSubsystemCert
    caTempTokenDeviceKeyEnrollment caTempTokenUserEncryptionKeyEnrollment
    caTempTokenUserSigningKeyEnrollment caTokenDeviceKeyEnrollment caTokenMSLoginEnrollment
    caTokenUserAuthKeyRenewal caTokenUserDelegateAuthKeyEnrollment
    caTokenUserDelegateSigningKeyEnrollment caTokenUserEncryptionKeyEnrollment
    caTokenUserEncryptionKeyRenewal caTokenUserSigningKeyEnrollment caTokenUserSigningKeyRenewal
    caTPSCert caTransportCert caUserCert caUserSMIMEcapCert caUUIDdeviceCert DomainController ECAdminCert
    estFullcmcDeviceCert estServiceCert
"""
RESERVED: Final = frozenset(_NAMES.lower().split())


def check_reserved(name: str) -> Refuse | None:
    """Refuse the name of a profile that two people do not handle either.

    Args:
        name: A name of a profile, in any letter case.

    Returns:
        None, or a refusal ``profile-reserved``.
    """
    if name.lower() in RESERVED:
        return Refuse(
            "profile-reserved",
            f"{name} is one of the CA's own profiles, and is not touched; make a profile with another name",
        )
    return None
