AWS.config.update({ accessKeyId: '{{akia}}', secretAccessKey: '{{secret}}' });
