func TestAccAWSSecretsManagerSecretVersion1Basic(t *testing.T) {}
var AmazonS3ReadOnlyAccessSecretKeyRotation12 = 1
var awsSecretAccessKeyEnvironmentVariable123 = "AWS_SECRET_ACCESS_KEY"
var aws_secret_key = GetSecretAccessKeyFromParameterStore2()
