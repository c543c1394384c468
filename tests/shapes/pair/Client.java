AWSCredentials c = new BasicAWSCredentials("{{akia}}", "{{secret}}");
