#!/bin/sh
# Makes the certificates and keys of the tests. They are of no use to anybody else: the keys are here for all to read.
set -eu
cd "$(dirname "$0")"
# Far enough that the tests outlive it, near enough for a date that all tools read.
end=20991231235959Z
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/ca.cnf" <<CONF
[ca]
default_ca = own
[own]
database = $work/index
serial = $work/serial
crlnumber = $work/crlnumber
new_certs_dir = $work
policy = any
default_md = sha256
unique_subject = no
[any]
countryName = optional
organizationName = optional
organizationalUnitName = optional
commonName = supplied
[crl]
authorityKeyIdentifier = keyid:always
[req]
distinguished_name = req
CONF
: > "$work/index"
echo 1000 > "$work/serial"

key() { openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out "$1.key"; }

authority() { # name subject
    key "$1"
    openssl req -new -key "$1.key" -subj "$2" -config "$work/ca.cnf" -out "$work/$1.csr"
    printf 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n' > "$work/$1.ext"
    openssl ca -batch -notext -config "$work/ca.cnf" -selfsign -keyfile "$1.key" -in "$work/$1.csr" \
        -startdate 20200101000000Z -enddate "$end" -extfile "$work/$1.ext" -preserveDN -out "$1.pem" 2>/dev/null
}

issue() { # authority name subject names [end [extension]]
    [ -e "$2.key" ] || key "$2"
    openssl req -new -key "$2.key" -subj "$3" -config "$work/ca.cnf" -out "$work/$2.csr"
    { echo 'basicConstraints=CA:FALSE'; [ -z "$4" ] || echo "subjectAltName=$4"; echo "${6:-}"; } > "$work/$2.ext"
    openssl ca -batch -notext -config "$work/ca.cnf" -cert "$1.pem" -keyfile "$1.key" -in "$work/$2.csr" \
        -startdate 20200101000000Z -enddate "${5:-$end}" -extfile "$work/$2.ext" -preserveDN -out "$2.pem" 2>/dev/null
}

intermediate() { # authority name subject names
    key "$2"
    openssl req -new -key "$2.key" -subj "$3" -config "$work/ca.cnf" -out "$work/$2.csr"
    printf 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectAltName=%s\n' "$4" > "$work/$2.ext"
    openssl ca -batch -notext -config "$work/ca.cnf" -cert "$1.pem" -keyfile "$1.key" -in "$work/$2.csr" \
        -startdate 20200101000000Z -enddate "$end" -extfile "$work/$2.ext" -preserveDN -out "$2.pem" 2>/dev/null
}

svid() { # authority name id [end]
    [ -e "$2.key" ] || key "$2"
    openssl req -new -key "$2.key" -subj "/CN=$2" -config "$work/ca.cnf" -out "$work/$2.csr"
    printf 'basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\nsubjectAltName=URI:%s\n' "$3" > "$work/$2.ext"
    openssl ca -batch -notext -config "$work/ca.cnf" -cert "$1.pem" -keyfile "$1.key" -in "$work/$2.csr" \
        -startdate 20200101000000Z -enddate "${4:-$end}" -extfile "$work/$2.ext" -preserveDN -out "$2.pem" 2>/dev/null
}

rm -f ./*.pem ./*.key ./*.ocsp ./*.p12
authority ca '/O=dragoman/CN=test authority'
authority other-ca '/CN=another authority'
issue ca server '/CN=server.example' 'DNS:server.example,DNS:*.wild.example,IP:127.0.0.1'
issue ca second '/CN=second.example' 'DNS:second.example'
issue ca unnamed '/CN=unnamed.example' ''
issue ca client '/C=DE/O=a, b/OU=unit/CN=client' \
    'URI:spiffe://test/client,URI:http://second,DNS:client.example,DNS:other.example,email:client@test,IP:10.0.0.1'
issue ca service '/CN=service' 'URI:spiffe://test/service'
issue other-ca stranger '/CN=stranger' 'URI:spiffe://test/client'
issue ca expired '/CN=server.example' 'DNS:server.example' 20210101000000Z
cat client.pem ca.pem > client-chain.pem
cat service.pem ca.pem > service-chain.pem
intermediate ca issuer '/CN=issuer' 'URI:spiffe://test/issuer'
svid issuer deep spiffe://test/deep
svid ca workload spiffe://test/workload
svid other-ca foreign spiffe://test/workload
svid ca late spiffe://test/late 20210101000000Z
cat deep.pem issuer.pem > deep-chain.pem

revoked() { # authority name [certificate]
    : > "$work/index"
    [ -z "${3:-}" ] || printf 'R\t%s\t200102000000Z\t%s\tunknown\t/CN=%s\n' "$end" \
        "$(openssl x509 -in "$3.pem" -noout -serial | cut -d= -f2)" "$3" > "$work/index"
    openssl ca -gencrl -batch -config "$work/ca.cnf" -cert "$1.pem" -keyfile "$1.key" -crldays 27000 -crlexts crl \
        -out "$2.crl.pem" 2>/dev/null
}

echo 01 > "$work/crlnumber"
revoked ca revoked service
revoked other-ca other
# Lists of an authority and of the issuer below it, which the first takes back in one of them.
revoked issuer issuer
cat revoked.crl.pem issuer.crl.pem > chain.crl.pem
revoked ca withdrawn issuer
cat issuer.crl.pem >> withdrawn.crl.pem
cat issuer.pem ca.pem > issuer-chain.pem

# Names of other kinds, and a key of RSA.
issue ca principal '/CN=principal' 'otherName:1.3.6.1.4.1.311.20.2.3;UTF8:user@corp.example,otherName:1.2.3.4;IA5:plain'
openssl genrsa 2048 2>/dev/null | openssl pkcs8 -topk8 -nocrypt -out rsa.key
issue ca rsa '/CN=server.example' 'DNS:server.example'
issue ca stapled '/CN=stapled.example' 'DNS:stapled.example' "$end" 'tlsfeature=status_request'

answer() { # certificate name options: what OCSP says of it
    printf 'V\t%s\t\t%s\tunknown\t/CN=%s\n' "$end" "$(openssl x509 -in "$1.pem" -noout -serial | cut -d= -f2)" "$1" > "$work/ocsp"
    name=$2 certificate=$1
    shift 2
    openssl ocsp -index "$work/ocsp" -rsigner ca.pem -rkey ca.key -CA ca.pem -issuer ca.pem -cert "$certificate.pem" \
        -respout "$name.ocsp" "$@" > "$work/ocsp.out" 2>&1
}

answer server server -ndays 27000
answer stapled stapled -ndays 27000
answer expired expired -ndays 27000
answer server server-expired -nmin 1
answer server server-endless

# Keys behind the password "hush".
openssl pkcs8 -topk8 -v2 aes-256-cbc -passout pass:hush -in server.key -out server-sealed.key
openssl pkcs8 -topk8 -scrypt -passout pass:hush -in server.key -out server-scrypt.key
openssl ec -aes128 -passout pass:hush -in server.key -out server-older.key 2>/dev/null
openssl pkcs12 -export -in client-chain.pem -inkey client.key -passout pass:hush -out client.p12
openssl pkcs12 -export -legacy -in server.pem -inkey server.key -passout pass:hush -out server-older.p12
openssl pkcs12 -export -in server.pem -inkey server.key -passout pass: -out server-open.p12

# Keys that their certificates allow other uses than to sign handshakes.
issue ca agreeing '/CN=server.example' 'DNS:server.example' "$end" 'keyUsage=critical,keyAgreement'
openssl genrsa 2048 2>/dev/null | openssl pkcs8 -topk8 -nocrypt -out sealing.key
issue ca sealing '/CN=server.example' 'DNS:server.example' "$end" 'keyUsage=keyEncipherment'
issue ca signing '/CN=server.example' 'DNS:server.example' "$end" 'keyUsage=critical,digitalSignature,keyAgreement'

# An authority whose key may not sign certificates, and one that it has signed all the same.
key barred
openssl req -new -key barred.key -subj /CN=barred -config "$work/ca.cnf" -out "$work/barred.csr"
printf 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,digitalSignature\n' > "$work/barred.ext"
openssl ca -batch -notext -config "$work/ca.cnf" -cert ca.pem -keyfile ca.key -in "$work/barred.csr" \
    -startdate 20200101000000Z -enddate "$end" -extfile "$work/barred.ext" -preserveDN -out barred.pem 2>/dev/null
issue barred misissued '/CN=misissued' 'DNS:server.example'
cat misissued.pem barred.pem > misissued-chain.pem
cp misissued.key misissued-chain.key
