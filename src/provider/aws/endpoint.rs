//! The URLs of AWS's services. Each service has one host per region, in a domain that depends on the region's
//! partition. Source: the `endpoint-rule-set` in AWS's API models.

use crate::escape::escaped;
use crate::provider::http;

/// The region if none is configured.
pub const DEFAULT_REGION: &str = "us-east-1";

/// The settings that determine the URL of a service.
#[derive(Debug, Clone, Default)]
pub struct Endpoints {
    /// The region, such as `eu-central-1`.
    pub region: String,
    /// Whether to use FIPS endpoints, whose cryptography is validated for the US government.
    pub is_fips: bool,
    /// Whether to use dual-stack endpoints, which support IPv4 and IPv6.
    pub is_dual_stack: bool,
    /// A URL in place of the default one of Secrets Manager.
    pub secrets_manager: Option<String>,
    /// A URL in place of the default one of the Security Token Service.
    pub sts: Option<String>,
}

/// An AWS service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// `secretsmanager`.
    SecretsManager,
    /// `sts`.
    Sts,
}

impl Service {
    /// The service's name in hosts and signatures.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SecretsManager => "secretsmanager",
            Self::Sts => "sts",
        }
    }
}

/// A group of regions with separate accounts and identities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Partition {
    /// The prefix of its regions.
    regions: &'static str,
    /// The second part of its ARNs.
    name: &'static str,
    /// The domain of its hosts.
    domain: &'static str,
    /// The domain of its dual-stack hosts.
    dual_stack: &'static str,
}

const PARTITIONS: &[Partition] = &[
    partition("cn-", "aws-cn", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    partition("us-gov-", "aws-us-gov", "amazonaws.com", "api.aws"),
    partition("us-iso-", "aws-iso", "c2s.ic.gov", "api.aws.ic.gov"),
    partition("us-isob-", "aws-iso-b", "sc2s.sgov.gov", "api.aws.scloud"),
    partition("eu-isoe-", "aws-iso-e", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    partition("us-isof-", "aws-iso-f", "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
    partition("eusc-", "aws-eusc", "amazonaws.eu", "api.amazonwebservices.eu"),
    partition("", "aws", "amazonaws.com", "api.aws"),
];

const fn partition(
    regions: &'static str,
    name: &'static str,
    domain: &'static str,
    dual_stack: &'static str,
) -> Partition {
    Partition { regions, name, domain, dual_stack }
}

impl Endpoints {
    /// The URL of a service, without a path.
    #[must_use]
    pub fn url(&self, service: Service) -> String {
        let given = match service {
            Service::SecretsManager => &self.secrets_manager,
            Service::Sts => &self.sts,
        };
        given.as_deref().map_or_else(|| self.of_region(service), |url| url.trim_end_matches('/').to_owned())
    }

    fn of_region(&self, service: Service) -> String {
        let (partition, region) = (partition_of(&self.region), &self.region);
        let domain = if self.is_dual_stack { partition.dual_stack } else { partition.domain };
        let fips = if self.is_fips { "-fips" } else { "" };
        format!("https://{}{fips}.{region}.{domain}", service.name())
    }

    /// The endpoint of Secrets Manager for reports; `None` if its URL is invalid.
    #[must_use]
    pub fn shown(&self) -> Option<String> {
        http::endpoint(&self.url(Service::SecretsManager))
    }

    /// The secret's ARN for an IAM policy. It ends in wildcards, because AWS appends a hyphen and six random
    /// characters to the name.
    #[must_use]
    pub fn resource(&self, secret: &str) -> String {
        if secret.starts_with("arn:") {
            return escaped(secret);
        }
        let (partition, region) = (self.partition(), &self.region);
        format!("arn:{partition}:secretsmanager:{region}:*:secret:{}-??????", escaped(secret))
    }

    /// The partition of the region, which is the second part of an ARN.
    #[must_use]
    pub fn partition(&self) -> &'static str {
        partition_of(&self.region).name
    }
}

/// The URL of the IAM Identity Center portal in a region.
#[must_use]
pub fn portal(region: &str) -> String {
    format!("https://portal.sso.{region}.{}", partition_of(region).domain)
}

fn partition_of(region: &str) -> Partition {
    let found = PARTITIONS.iter().find(|partition| region.starts_with(partition.regions));
    found.copied().unwrap_or(partition("", "aws", "amazonaws.com", "api.aws"))
}

/// Whether the text is safe as a region, since it becomes part of a host name.
#[must_use]
pub fn is_region(text: &str) -> bool {
    let is_legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(is_legal)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_region(region: &str) -> Endpoints {
        Endpoints { region: region.to_owned(), ..Endpoints::default() }
    }

    #[test]
    fn each_partition_has_hosts_and_arns_of_its_own() {
        let cases = [
            ("eu-central-1", "https://secretsmanager.eu-central-1.amazonaws.com", "aws"),
            ("cn-north-1", "https://secretsmanager.cn-north-1.amazonaws.com.cn", "aws-cn"),
            ("us-gov-west-1", "https://secretsmanager.us-gov-west-1.amazonaws.com", "aws-us-gov"),
            ("us-isob-east-1", "https://secretsmanager.us-isob-east-1.sc2s.sgov.gov", "aws-iso-b"),
        ];
        for (region, url, partition) in cases {
            let endpoints = in_region(region);
            assert_eq!(endpoints.url(Service::SecretsManager), url);
            assert!(endpoints.resource("app/db").starts_with(&format!("arn:{partition}:secretsmanager:")));
        }
    }

    #[test]
    fn fips_and_dual_stack_change_the_host() {
        let fips = Endpoints { is_fips: true, ..in_region("us-east-1") };
        assert_eq!(fips.url(Service::Sts), "https://sts-fips.us-east-1.amazonaws.com");
        let both = Endpoints { is_dual_stack: true, ..fips };
        assert_eq!(both.url(Service::SecretsManager), "https://secretsmanager-fips.us-east-1.api.aws");
        let china = Endpoints { is_dual_stack: true, ..in_region("cn-north-1") };
        assert_eq!(china.url(Service::Sts), "https://sts.cn-north-1.api.amazonwebservices.com.cn");
    }

    #[test]
    fn a_given_address_stands_in_for_its_service_alone() {
        let endpoints = Endpoints { sts: Some("http://sts:4566/".to_owned()), ..in_region("us-east-1") };
        assert_eq!(endpoints.url(Service::Sts), "http://sts:4566");
        assert!(endpoints.url(Service::SecretsManager).starts_with("https://secretsmanager."));
    }

    #[test]
    fn a_region_cannot_change_the_host() {
        assert!(is_region("ap-southeast-7"));
        for text in ["", "EU-WEST-1", "eu-west-1.evil.example/", "a b", "-a", "a-", "a@b"] {
            assert!(!is_region(text), "{text}");
        }
    }

    #[test]
    fn the_resource_of_a_policy_covers_the_characters_that_aws_adds() {
        let resource = in_region("eu-west-1").resource("app/db");
        assert_eq!(resource, "arn:aws:secretsmanager:eu-west-1:*:secret:app/db-??????");
        let arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:app/db-AbCdEf";
        assert_eq!(in_region("eu-west-1").resource(arn), arn);
    }
}
